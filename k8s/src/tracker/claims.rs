//! Who has an address from now on, and who no longer.

use crate::cluster::Holdings;
use crate::holding::{Holding, Margins, Tenancy};
use crate::persistent::Key;

/// What a claim is judged by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claims {
    pub margins: Margins,
    /// Owners that are remembered of one thing.
    pub history: usize,
    pub now: u64,
    /// Of what is not remembered at all, everything is known since then.
    pub complete_from: u64,
}

impl Claims {
    /// Gives `key` to a new tenant, or continues with what is now known of the present one.
    /// Says how many earlier tenants had to be forgotten for it.
    pub(super) fn claim<K: Key, T: Clone>(
        &self,
        holdings: &mut Holdings<K, T>,
        key: K,
        tenancy: Tenancy<T>,
    ) -> u64 {
        let Some(known) = holdings.get(&key) else {
            let holding = Holding::new(tenancy, self.complete_from);
            holdings.insert(key, holding);
            return 0;
        };
        let mut holding = Some(known.clone());
        let mut cut = 0;
        if known.tenancy(tenancy.tenant).is_none() && known.len() >= self.history.max(1) {
            cut = 1;
            let oldest = known.oldest();
            holding = holding.and_then(|holding| holding.without(oldest, self.now, &self.margins));
        }
        let holding = match holding {
            Some(mut holding) => {
                holding.claim(tenancy);
                holding
            }
            None => Holding::new(tenancy, self.now),
        };
        holdings.insert(key, holding);
        cut
    }
}

/// Takes `key` from a tenant, who had let go of it by `left`.
pub(super) fn leave<K: Key, T: Clone>(
    holdings: &mut Holdings<K, T>,
    key: K,
    tenant: u64,
    left: u64,
) {
    let Some(known) = holdings.get(&key) else { return };
    let mut holding = known.clone();
    holding.leave(tenant, left);
    holdings.insert(key, holding);
}

/// Forgets that `tenant` had `key` if that ended until `left`.
pub(super) fn forget<K: Key, T: Clone>(
    holdings: &mut Holdings<K, T>,
    key: &K,
    tenant: u64,
    left: u64,
    (now, margins): (u64, &Margins),
) {
    let Some(known) = holdings.get(key) else { return };
    if known.tenancy(tenant).is_none_or(|tenancy| tenancy.left > left) {
        return;
    }
    match known.clone().without(tenant, now, margins) {
        Some(holding) => holdings.insert(key.clone(), holding),
        None => drop(holdings.remove(key)),
    }
}
