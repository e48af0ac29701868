FROM alpine
ARG
ARG =x
ARG ok =y
