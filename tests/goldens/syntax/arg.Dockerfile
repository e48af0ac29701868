# GO is the version of Go
# not described
ARG GO=1.22 OTHER EMPTY= QUOTED="a b" 'SINGLE=x y'
FROM alpine
# X is imported

ARG X
# Y is described
ARG X Y=$GO
ARG TAIL="unterminated
