FROM alpine
FROM alpine as lower
FROM alpine AS Upper.name_x-1
FROM --platform=$TARGETPLATFORM alpine:${TAG:-3} aS mixed
from scratch
FROM alpine@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
FROM "alpine"
