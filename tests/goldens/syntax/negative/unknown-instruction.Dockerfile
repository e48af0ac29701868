FROM alpine
RUNN make
frmo x
XYZZY
CPOY a b
