# What the tests build our images on where no registry has node:24-bookworm-slim: Debian, Node at the same place, npm.
FROM scratch
ADD debian.tar /
COPY overlay/ /
RUN ldconfig && groupadd --gid 1000 node && useradd --uid 1000 --gid node --create-home node && node --version && npm --version
CMD ["node"]
