# The next version of that image: one task more, and without those that need too much memory.
ARG TIDEMILL_IMAGE
FROM ${TIDEMILL_IMAGE}
COPY tasks.ts tasks-next.ts ./
