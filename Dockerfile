# One image for all five services; docker-compose.yml chooses by the command.
FROM node:22-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# Install scripts stay off: the image has its Node, and the compiler needs none.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY apps ./apps
COPY libs ./libs
COPY migrations ./migrations
RUN node node_modules/@typescript/native/bin/tsc -p tsconfig.build.json
RUN npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:22-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
# For the one-off container that prepares the databases.
COPY tools ./tools
# Belongs to the account below, so that a fresh volume mounted here does, too.
RUN mkdir /data && chown node:node /data
ENV CONCORDAT_DATA_DIR=/data HOST=0.0.0.0
USER node
CMD ["node", "--enable-source-maps", "--max-semi-space-size=32", "dist/apps/coordinator/src/main.js"]
