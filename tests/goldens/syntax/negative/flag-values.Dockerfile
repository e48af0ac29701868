FROM alpine
COPY --from a b c
COPY --link= a b
COPY --link=yes a b
RUN --mount make
ADD --unpack=1 a b
