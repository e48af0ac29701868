FROM alpine
RUN --mount= x
RUN --mount=type=bind,from=$x,target=/a y
RUN --mount=\"a x
RUN --mount=a\"b x
RUN --network=hots x
RUN --network=$n x
RUN --security=none x
RUN --device=\"a x
