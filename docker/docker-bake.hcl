# docker buildx bake -f docker/docker-bake.hcl          every distribution and the bare machine
# docker buildx bake -f docker/docker-bake.hcl jazzy    one of them
group "default" {
  targets = ["distribution", "bare"]
}

variable "PROFILE" {
  default = "torch"
}

target "distribution" {
  name       = distribution
  matrix     = { distribution = ["humble", "jazzy", "kilted", "lyrical"] }
  context    = "."
  dockerfile = "docker/Dockerfile"
  args       = { ROS_DISTRO = distribution, PROFILE = PROFILE }
  tags       = ["flashocc:${distribution}"]
}

target "bare" {
  context    = "."
  dockerfile = "docker/bare.Dockerfile"
  tags       = ["flashocc:bare"]
}
