"""The provisioner through which jupyter_client starts a kernel as a fork: see `fork`."""

from jupyter_client.provisioning import LocalProvisioner

from kb import fork


class ForkedKernel(LocalProvisioner):
    """As jupyter_client's own provisioner, but for the start of the process."""

    async def launch_kernel(self, cmd, **kwargs):
        """Fork where the command is ipykernel's own and names no other Python; else start what it says."""
        if "ipykernel_launcher" not in cmd or not fork.is_on():
            return await super().launch_kernel(cmd, **kwargs)
        self.process = fork.Forked(cmd[cmd.index("-f") + 1], kwargs.get("cwd"), kwargs["env"])
        self.pid, self.cwd = self.process.pid, kwargs.get("cwd")
        return self.connection_info
