# Syntax = docker/dockerfile:1.7
#CHECK=skip=all;error=true
# not a directive
# escape=`
FROM scratch
RUN a \
 b
