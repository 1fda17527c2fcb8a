# The importer alone: a static program in an otherwise empty image, without a
# shell and without PostgreSQL. What it keeps is in /var/lib/importer, its
# configuration in /etc/importer/importer.yaml; nothing else needs to be writable
# but /tmp.
#
#   docker build --build-arg VERSION="$(git describe --tags --always)" -t importer .

FROM golang:1.26-bookworm AS build
WORKDIR /src
# For networks that reach modules by another way than Go's usual one.
ARG GOPROXY
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.stamp=$VERSION" -o /out/usr/local/bin/importer ./cmd/importer \
 && install -D -m 644 -t /out/etc/ssl/certs /etc/ssl/certs/ca-certificates.crt \
 && install -d -m 1777 /out/tmp \
 && install -d -m 700 /kept/importer

FROM scratch
COPY --from=build /out /
COPY --from=build --chown=10001:10001 /kept /var/lib
USER 10001:10001
WORKDIR /etc/importer
VOLUME /var/lib/importer
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=1m CMD ["/usr/local/bin/importer", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/importer"]
CMD ["serve"]
