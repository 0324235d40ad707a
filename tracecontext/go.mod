module github.com/clewtrace/clew/tracecontext

go 1.24
