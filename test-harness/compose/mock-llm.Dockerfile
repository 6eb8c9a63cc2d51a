# The stand-ins for providers, built from this repository.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /work
COPY . .
RUN cargo build --locked --profile tools -p mock-llm

FROM debian:bookworm-slim
COPY --from=build /work/target/tools/mock-llm /usr/local/bin/mock-llm
ENTRYPOINT ["mock-llm"]
