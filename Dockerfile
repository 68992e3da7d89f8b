FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS build
ARG TARGETOS
ARG TARGETARCH
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG VERSION
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    GOOS=$TARGETOS GOARCH=$TARGETARCH cmd/runner/build.sh /out/runner "$VERSION" -buildvcs=false \
    && mkdir /out/state

FROM scratch
ARG VERSION
LABEL org.opencontainers.image.title="globus-runner" \
      org.opencontainers.image.description="Moves research data with Globus, with nobody at the keyboard" \
      org.opencontainers.image.source="https://github.com/globus-runner/globus-runner" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/runner /runner
COPY --from=build --chown=65532:65532 --chmod=0700 /out/state /var/lib/runner
USER 65532:65532
ENV RUNNER_LISTEN=0.0.0.0:8080 STATE_DIRECTORY=/var/lib/runner
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["/runner", "health"]
ENTRYPOINT ["/runner"]
CMD ["serve"]
