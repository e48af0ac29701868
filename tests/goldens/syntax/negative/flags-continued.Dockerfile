FROM alpine
COPY --link \
    --frmo=x \
    a b
