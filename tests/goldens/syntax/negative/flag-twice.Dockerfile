FROM alpine
COPY --link --chown=a --link --chown=b a b
RUN --network=none --network=none x
