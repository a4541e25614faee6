# The program, the certificates of authorities, and nothing else. docs/install.md shows how
# to build and use it; a test runs the build stage's `go build`.
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS TARGETARCH VERSION REVISION
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false -ldflags "-s -w -X $(go list -m)/internal/cli.release=$VERSION -X $(go list -m)/internal/cli.revision=$REVISION" -o /out/ ./cmd/nats-kvmirror

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/nats-kvmirror /
USER 65534:65534
ENTRYPOINT ["/nats-kvmirror"]
