"""The ROS 2 side: a lifecycle node around ``Predictor``. Nothing here touches a network layer."""
