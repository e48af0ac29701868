FROM alpine
SHELL
SHELL []
SHELL /bin/sh -c
SHELL ["a"] b
