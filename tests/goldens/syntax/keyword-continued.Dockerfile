FRO\
M alpine
RU\
# c
N a
