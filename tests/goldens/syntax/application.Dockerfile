# syntax=docker/dockerfile:1
ARG GO=1.22
# build is where the program is compiled
FROM --platform=$BUILDPLATFORM golang:${GO}-alpine AS build
WORKDIR /src
ENV CGO_ENABLED=0 \
    GOFLAGS="-mod=readonly"
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/root/.cache/go-build go mod download
COPY . .
RUN go build -o /out/app ./cmd/app && \
    # prove that it starts
    /out/app --version

FROM debian:12-slim
COPY --from=build --chown=1000:1000 /out/app /usr/bin/app
USER 1000
EXPOSE 9090 8080/tcp
HEALTHCHECK --interval=30s --retries=2 CMD curl -f http://localhost:8080/ || exit 1
ENTRYPOINT ["/usr/bin/app"]
CMD ["--serve"]
