FROM --platform=linux/arm64 alpine
COPY --link --from=0 --chown="a b:c" --chmod=6'4'4 --exclude=*.md --exclude=\"x y z
COPY --link=false --parents=TRUE --"exclude"=a a b
COPY --link -- --looks-like-a-flag /d
COPY --from= --chown= a b
ADD --keep-git-dir=true --checksum=sha256:$SUM --unpack=false https://example.org/x /x
ADD --keep-git-dir --unpack a b
RUN --mount=type=bind,target=/a,ro --mount=type=secret,id=s,"target=/a,b" --network=none --security=insecure cmd
RUN --mount=type=cache,\
target=/x --mount=Type=tmpfs,TARGET=$T go
RUN --device=vendor.com/gpu=0 --network=host x
ARG --dropped=1 a=b
STOPSIGNAL --dropped 9
