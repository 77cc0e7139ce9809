variable "folder" { type = string }
variable "cluster" { type = string }
variable "suffix" { type = string }
variable "region" { type = string }
variable "labels" { type = map(string) }
variable "subnet" { type = string }
variable "fenced" { type = bool }

variable "servers" {
  type = map(object({ size = string, role = string, pool = string, private_ip = string }))
}

# Of servers that are still to be made; the folder has no use for it but must never show it.
variable "enrolment" {
  type      = map(map(string))
  sensitive = true
  default   = {}
}

locals {
  common = { region = var.region, labels = var.labels, folder = var.folder, size = "" }
  things = { network = "net", firewall = "fw", load_balancer = "lb" }
}

resource "terraform_data" "thing" {
  for_each = local.things
  input    = merge(local.common, { kind = each.key, name = "${var.cluster}-${each.value}-${var.suffix}", fenced = var.fenced })

  provisioner "local-exec" {
    command     = "exec sh '${path.module}/cloud.sh' create"
    environment = { ID = self.id, KIND = self.input.kind, NAME = self.input.name, FOLDER = self.input.folder, SPEC = jsonencode(self.input) }
  }
  provisioner "local-exec" {
    when        = destroy
    command     = "exec sh '${path.module}/cloud.sh' delete"
    environment = { ID = self.id, KIND = self.input.kind, NAME = self.input.name, FOLDER = self.input.folder }
  }
}

resource "terraform_data" "server" {
  for_each   = var.servers
  input      = merge(local.common, each.value, { kind = "server", name = each.key })
  depends_on = [terraform_data.thing]

  provisioner "local-exec" {
    command     = "exec sh '${path.module}/cloud.sh' create"
    environment = { ID = self.id, KIND = self.input.kind, NAME = self.input.name, FOLDER = self.input.folder, SPEC = jsonencode(self.input) }
  }
  provisioner "local-exec" {
    when        = destroy
    command     = "exec sh '${path.module}/cloud.sh' delete"
    environment = { ID = self.id, KIND = self.input.kind, NAME = self.input.name, FOLDER = self.input.folder }
  }
}

output "catalyst" {
  value = {
    load_balancers = [{ purpose = "ingress", ipv4 = "127.0.0.1", ipv6 = "" }]
    api_endpoint   = ""
    network        = { id = terraform_data.thing["network"].id, cidr = var.subnet }
    servers = [for name, one in var.servers :
      { name = name, id = terraform_data.server[name].id, role = one.role, pool = one.pool, private_ip = one.private_ip }
      if contains(keys(terraform_data.server), name)
    ]
  }
}
