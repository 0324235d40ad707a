# Builds one program of examples/, chosen by PROGRAM:
#
#	docker build --build-arg PROGRAM=server -t clew-server .
FROM golang:1.26.8-alpine AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG PROGRAM
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -ldflags=-s -o /out/program ./examples/${PROGRAM:?choose one with --build-arg PROGRAM=server}

FROM scratch
# For collectors behind https.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/program /program
USER 65532:65532
ENTRYPOINT ["/program"]
