# Builds one program of examples/, chosen by PROGRAM:
#
#	docker build --build-arg PROGRAM=server -t clew-server .
FROM golang:1.26.8 AS build
WORKDIR /src
ARG PROGRAM
# The tree is mounted with .git, so that the program knows its version and
# revision: they are in its telemetry as service.version, and "go version -m
# program" shows them.
RUN --mount=type=bind,target=. --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -ldflags=-s -o /out/program ./examples/${PROGRAM:?choose one with --build-arg PROGRAM=server}

FROM scratch
# For collectors behind https.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/program /program
USER 65532:65532
ENTRYPOINT ["/program"]
