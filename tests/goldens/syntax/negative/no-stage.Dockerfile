ARG A=1
RUN make
RUN again
FROM alpine
