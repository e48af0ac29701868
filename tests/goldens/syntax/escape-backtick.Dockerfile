# escape=`
FROM windows
WORKDIR C:\src\
RUN dir `
  C:\
ENV A="x`"y" B=`$z
COPY a\b c\
