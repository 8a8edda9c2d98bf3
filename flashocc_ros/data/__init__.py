"""Where frames come from: the synthetic world and nuScenes."""
