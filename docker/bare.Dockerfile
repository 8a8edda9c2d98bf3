# No ROS 2 at all, the middleware from PyPI: docker build -f docker/bare.Dockerfile -t flashocc-bare .
FROM python:3.11-slim-bookworm

RUN apt-get update \
 && apt-get install -y --no-install-recommends cmake g++ git make \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /flashocc_ros
COPY . .
RUN scripts/setup.sh runtime
CMD ["make", "demo"]
