"""Parts of the policy store (patch 8); `reference_impl.policy_store` is the way in."""
