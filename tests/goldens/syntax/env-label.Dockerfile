FROM alpine
ENV a=b
ENV a=1 b="two words" c=esc\ aped d='$x' e="a"'b'
ENV legacy rest of   the "line"
ENV legacy  a=b
ENV "quoted key"=v
ENV empty= next=
ENV open="no end here
LABEL a=b "c d"=e
LABEL old style
LABEL multi="a \
 b"
