resource "hcloud_network" "main" {
  name              = lookup(var.adopted, "hcloud_network.main", "${var.cluster_name}-net-${var.suffix}")
  ip_range          = var.node_cidr
  labels            = var.labels
  delete_protection = var.protection
}

resource "hcloud_network_subnet" "main" {
  network_id   = hcloud_network.main.id
  type         = "cloud"
  network_zone = var.network_zone
  ip_range     = var.subnet_cidr
}

# It filters the public side of servers only: neither the private network nor load balancers. So there is no 80, 443 or
# 6443 in it: what comes in comes by a load balancer over private addresses.
resource "hcloud_firewall" "main" {
  name   = lookup(var.adopted, "hcloud_firewall.main", "${var.cluster_name}-fw-${var.suffix}")
  labels = var.labels

  dynamic "rule" {
    for_each = var.fenced || length(var.ssh_allowed_cidrs) == 0 ? [] : [var.ssh_allowed_cidrs]
    content {
      direction  = "in"
      protocol   = "tcp"
      port       = "22"
      source_ips = rule.value
    }
  }
  dynamic "rule" {
    for_each = var.fenced ? [] : [["0.0.0.0/0", "::/0"]]
    content {
      direction  = "in"
      protocol   = "icmp"
      source_ips = rule.value
    }
  }
  dynamic "rule" {
    for_each = var.fenced || length(var.wireguard_peers) == 0 ? [] : [var.wireguard_peers]
    content {
      direction  = "in"
      protocol   = "udp"
      port       = "51871"
      source_ips = rule.value
    }
  }
}
