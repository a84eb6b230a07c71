"""Ray Serve: the configuration of an application, the environment of its nodes, KubeRay's RayService, and a running cluster by its API."""
