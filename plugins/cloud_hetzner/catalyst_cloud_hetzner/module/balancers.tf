resource "hcloud_load_balancer" "ingress" {
  name               = lookup(var.adopted, "hcloud_load_balancer.ingress", "${var.cluster_name}-lb-${var.suffix}")
  load_balancer_type = var.load_balancer.type
  location           = var.region
  labels             = merge(var.labels, { "openova.io/purpose" = "ingress" })
  delete_protection  = var.protection

  algorithm {
    type = var.load_balancer.algorithm
  }
}

resource "hcloud_load_balancer_network" "ingress" {
  load_balancer_id = hcloud_load_balancer.ingress.id
  subnet_id        = hcloud_network_subnet.main.id
  ip               = var.load_balancer.private_ip
}

resource "hcloud_load_balancer_service" "ingress" {
  for_each = { for one in var.load_balancer.listeners : tostring(one.port) => one }

  load_balancer_id = hcloud_load_balancer.ingress.id
  protocol         = each.value.protocol
  listen_port      = each.value.port
  destination_port = each.value.target_port

  health_check {
    protocol = "tcp"
    port     = each.value.target_port
    interval = 10
    timeout  = 5
    retries  = 3
  }
}

# By label, so that servers of an autoscaler are targets too.
resource "hcloud_load_balancer_target" "ingress" {
  count = var.fenced ? 0 : 1

  load_balancer_id = hcloud_load_balancer.ingress.id
  type             = "label_selector"
  label_selector   = local.selector
  use_private_ip   = true
  depends_on       = [hcloud_load_balancer_network.ingress]
}

resource "hcloud_load_balancer" "api" {
  count = local.is_ha ? 1 : 0

  name               = lookup(var.adopted, "hcloud_load_balancer.api[0]", "${var.cluster_name}-api-${var.suffix}")
  load_balancer_type = "lb11"
  location           = var.region
  labels             = merge(var.labels, { "openova.io/purpose" = "api" })
  delete_protection  = var.protection

  algorithm {
    type = "round_robin"
  }
}

resource "hcloud_load_balancer_network" "api" {
  count = local.is_ha ? 1 : 0

  load_balancer_id        = hcloud_load_balancer.api[0].id
  subnet_id               = hcloud_network_subnet.main.id
  ip                      = var.api.private_ip
  enable_public_interface = var.api.public && !var.fenced
}

resource "hcloud_load_balancer_service" "api" {
  count = local.is_ha ? 1 : 0

  load_balancer_id = hcloud_load_balancer.api[0].id
  protocol         = "tcp"
  listen_port      = 6443
  destination_port = 6443

  health_check {
    protocol = "tcp"
    port     = 6443
    interval = 10
    timeout  = 5
    retries  = 3
  }
}

resource "hcloud_load_balancer_target" "api" {
  count = local.is_ha ? 1 : 0

  load_balancer_id = hcloud_load_balancer.api[0].id
  type             = "label_selector"
  label_selector   = "${local.selector},openova.io/role=control-plane"
  use_private_ip   = true
  depends_on       = [hcloud_load_balancer_network.api]
}
