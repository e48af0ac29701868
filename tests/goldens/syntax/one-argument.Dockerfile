FROM alpine
WORKDIR /with blanks in it
WORKDIR   "$HOME"/x
USER 1000:1000
USER $u  x
STOPSIGNAL SIGTERM
MAINTAINER Some Body <some@example.org>
