//! What a test of the service sees of a console.

use super::ServedConsole;
use crate::service::connection::ConnectionState;

impl ServedConsole {
    /// Whether the session has a holder.
    pub(in crate::service) fn is_held(&self) -> bool {
        self.session.holder().is_some()
    }

    pub(in crate::service) fn connection_states(
        &self,
    ) -> impl Iterator<Item = ConnectionState> + '_ {
        let all = self.connections.iter();
        all.map(|(_, connection)| connection.state())
    }
}
