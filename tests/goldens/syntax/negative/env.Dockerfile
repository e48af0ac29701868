FROM alpine
ENV
ENV a
ENV a=b c
ENV =b
LABEL
LABEL a
LABEL x=y "z w" q=r
LABEL =x
