FROM alpine
COPY
COPY a
ADD --chown=x a
COPY ["a"]
COPY []
