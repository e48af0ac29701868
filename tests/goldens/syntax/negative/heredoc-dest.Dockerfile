FROM alpine
COPY a <<EOF
x
EOF
COPY <<EOF
x
EOF
