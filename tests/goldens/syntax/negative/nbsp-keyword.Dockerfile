FROM alpine
RUN make
