# escape=\
FROM alpine
RUN a \
  b
RUN <<EOF
x
EOF
COPY a \
 b
