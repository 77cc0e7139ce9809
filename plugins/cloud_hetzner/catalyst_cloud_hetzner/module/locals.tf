locals {
  control_planes = { for n in range(1, var.control_plane.count + 1) : "${var.cluster_name}-cp${n}-${var.suffix}" => {
    number = n, role = "control-plane", pool = "cp", size = var.control_plane.size, arch = var.control_plane.arch
    group  = "cp-${ceil(n / 10)}", private_ip = cidrhost(var.subnet_cidr, n + 1), labels = {}, taints = []
  } }
  workers = merge([for name, pool in var.worker_pools : { for n in range(1, pool.count + 1) : "${var.cluster_name}-${name}-w${n}-${var.suffix}" => {
    number = n, role = "worker", pool = name, size = pool.size, arch = pool.arch
    group  = "${name}-${ceil(n / 10)}", private_ip = null, labels = pool.labels, taints = pool.taints
  } }]...)
  servers = merge(local.control_planes, local.workers)

  # A spread group has at most ten members, so there is one for every ten servers of a role.
  groups = toset([for server in local.servers : server.group])

  is_ha    = var.control_plane.count > 1
  api_ip   = local.is_ha ? var.api.private_ip : cidrhost(var.subnet_cidr, 2)
  selector = join(",", [for key, value in var.labels : "${key}=${value}"])
  # The reserved address is among the names from the first day: one control plane becomes three without new certificates.
  sans = distinct(concat([var.api.private_ip, cidrhost(var.subnet_cidr, 2)], var.api.extra_sans))

  facts = {
    fqdn             = var.sovereign_fqdn
    cluster          = var.cluster_name
    region           = var.region
    ha               = local.is_ha
    node_cidr        = var.node_cidr
    pod_cidr         = var.pod_cidr
    service_cidr     = var.service_cidr
    api              = local.api_ip
    sans             = local.sans
    registry_mirrors = var.registry_mirrors
  }
}
