FROM --plaform=x alpine
COPY --chwon=a --frmo=b --zzz a b
ADD --from=x a b
ADD --parents a b
RUN --moun=type=cache,target=/x a
CMD --x y
ENV --x a=b
ONBUILD --x RUN y
