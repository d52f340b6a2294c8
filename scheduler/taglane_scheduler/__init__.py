"""The control plane: fires jobs, keeps tenants, rescues what dead workers held."""
