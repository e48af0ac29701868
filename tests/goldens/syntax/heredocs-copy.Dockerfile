FROM alpine
COPY <<one <<'two' <<"th ree" <<fo\ur /dir/
1 $x
one
2 $x
two
3
th ree
4
four
ADD a <<-EOF b/ /dest/
	tabbed
	EOF
COPY << EOF /file
x
EOF
ONBUILD COPY <<EOF /later
y
EOF
COPY ["<<EOF", "/dest"]
