output "catalyst" {
  value = {
    load_balancers = concat(
      [{ purpose = "ingress", ipv4 = hcloud_load_balancer.ingress.ipv4, ipv6 = hcloud_load_balancer.ingress.ipv6, ports = null }],
      [for one in hcloud_load_balancer.api : {
        purpose = "api"
        ipv4    = var.api.public ? one.ipv4 : local.api_ip
        ipv6    = var.api.public ? one.ipv6 : ""
        # Nobody outside can reach a private one, so it has no port to be asked at.
        ports = var.api.public ? tomap({ https = 6443 }) : tomap({})
      }],
    )
    api_endpoint = "https://${local.api_ip}:6443"
    network      = { id = hcloud_network.main.id, cidr = var.node_cidr }
    # Of what is there: a refresh has to be possible where a server is missing.
    servers = [for name, node in hcloud_server.node : {
      name       = node.name
      id         = node.id
      role       = replace(local.servers[name].role, "-", "_")
      pool       = local.servers[name].pool
      private_ip = one(node.network[*].ip)
    } if contains(keys(local.servers), name)]
  }
}
