//! The connections of a console, by their ids.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::service::connection::Connection;
use crate::service::kernel::ConnectionId;
use crate::session::Lease;

#[derive(Default)]
pub(super) struct Connections {
    by_id: BTreeMap<ConnectionId, Connection>,
    next: u64,
    /// The one that was sent to last.
    last: Option<ConnectionId>,
    /// The one whose request was carried out last in a turn for all of them.
    last_asked: Option<ConnectionId>,
}

/// A way through all connections that begins behind the one that had its turn last: if a turn is
/// over before it has come to all, it comes to the others first in the next one.
pub(super) struct WayRound {
    start: Option<ConnectionId>,
    at: Option<ConnectionId>,
    is_behind_start: bool,
}

impl WayRound {
    fn behind(start: Option<ConnectionId>) -> Self {
        Self {
            start,
            at: start,
            is_behind_start: true,
        }
    }
}

impl Connections {
    /// Takes one in, under an id that no other ever had.
    pub(super) fn add(&mut self, connection: Connection) -> ConnectionId {
        let id = ConnectionId(self.next);
        self.next += 1;
        self.by_id.insert(id, connection);
        id
    }

    pub(super) fn get(&self, id: ConnectionId) -> Option<&Connection> {
        self.by_id.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.by_id.get_mut(&id)
    }

    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<Connection> {
        self.by_id.remove(&id)
    }

    /// The next one after `id`, or the first: connections may come and go between two calls.
    pub(super) fn after(&self, id: Option<ConnectionId>) -> Option<ConnectionId> {
        let start = id.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = self.by_id.range((start, Bound::Unbounded));
        rest.next().map(|(id, _)| *id)
    }

    /// To send to them.
    pub(super) fn way_round(&self) -> WayRound {
        WayRound::behind(self.last)
    }

    /// To carry out their requests.
    pub(super) fn way_round_requests(&self) -> WayRound {
        WayRound::behind(self.last_asked)
    }

    /// The next one on the way: connections may come and go between two calls.
    pub(super) fn next_on(&self, way: &mut WayRound) -> Option<ConnectionId> {
        let mut next = self.after(way.at);
        if next.is_none() && way.is_behind_start && way.start.is_some() {
            way.is_behind_start = false;
            next = self.after(None);
        }
        way.at = next.filter(|id| way.is_behind_start || Some(*id) <= way.start);
        way.at
    }

    pub(super) fn had_its_turn(&mut self, id: ConnectionId) {
        self.last = Some(id);
    }

    pub(super) fn had_its_request(&mut self, id: ConnectionId) {
        self.last_asked = Some(id);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (ConnectionId, &Connection)> {
        self.by_id.iter().map(|(id, connection)| (*id, connection))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (ConnectionId, &mut Connection)> {
        let all = self.by_id.iter_mut();
        all.map(|(id, connection)| (*id, connection))
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(super) fn observers(&self) -> usize {
        let all = self.by_id.values();
        all.filter(|connection| connection.standing.is_observer())
            .count()
    }

    /// The one whose session `lease` is.
    pub(super) fn of_lease(&mut self, lease: Lease) -> Option<&mut Connection> {
        let mut all = self.by_id.values_mut();
        all.find(|connection| connection.standing.lease() == Some(lease))
    }

    /// The one that came in through a listener that serves nobody else meanwhile.
    pub(super) fn of_slot(&self, slot: usize) -> Option<ConnectionId> {
        let mut all = self.iter();
        all.find(|(_, connection)| connection.slot == Some(slot))
            .map(|(id, _)| id)
    }

    /// One whose descriptor was passed on connection `by`.
    pub(super) fn passed_by(&self, by: ConnectionId) -> Option<ConnectionId> {
        let mut all = self.iter();
        all.find(|(_, connection)| connection.passed_by == Some(by))
            .map(|(id, _)| id)
    }

    /// The one that has asked for nothing for longest and has no session, neither of its own nor on a
    /// socket that it has passed; not `except`. One that waits for the log comes after those that wait
    /// for nothing, so that silent connections cannot push it out. One whose session has just ended
    /// is to be told why, so it comes last.
    pub(super) fn dispensable(&self, except: Option<ConnectionId>) -> Option<ConnectionId> {
        let has_session = |connection: &Connection| connection.standing.has_session();
        let needed: BTreeSet<_> = self
            .by_id
            .values()
            .filter(|connection| has_session(connection))
            .filter_map(|connection| connection.passed_by)
            .collect();
        self.iter()
            .filter(|(id, connection)| {
                !has_session(connection) && !needed.contains(id) && Some(*id) != except
            })
            .min_by_key(|(id, connection)| {
                let is_leaving = connection.standing.is_leaving();
                let waits = connection.wire.wait().is_some();
                (is_leaving, waits, connection.asked_at, *id)
            })
            .map(|(id, _)| id)
    }

    /// One that is to be taken out.
    pub(super) fn gone(&self) -> Option<ConnectionId> {
        let mut all = self.iter();
        all.find(|(_, connection)| connection.standing.is_gone())
            .map(|(id, _)| id)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::service::connection::Wire;
    use crate::session::{EndReason, Identity, Transport};
    use crate::transport::stream::File;

    fn connection() -> Connection {
        let null = std::fs::File::open("/dev/null").unwrap();
        let identity = Identity::new(Transport::Unix, "");
        let stream = Box::new(File(null.into()));
        Connection::new(
            identity,
            stream,
            Wire::control(),
            None,
            None,
            Duration::ZERO,
        )
    }

    fn some(count: usize) -> (Connections, Vec<ConnectionId>) {
        let mut connections = Connections::default();
        let ids = (0..count).map(|_| connections.add(connection())).collect();
        (connections, ids)
    }

    #[test]
    fn the_oldest_without_a_session_makes_way_and_never_who_is_needed() {
        let (mut connections, ids) = some(5);
        let [passed, by, leaving, old, new] = ids[..] else {
            unreachable!("there are five")
        };
        assert_eq!(connections.passed_by(by), None);
        connections
            .get_mut(passed)
            .unwrap()
            .standing
            .observe(Duration::ZERO);
        connections.get_mut(passed).unwrap().passed_by = Some(by);
        assert_eq!(connections.passed_by(by), Some(passed));
        let over = connections.get_mut(leaving).unwrap();
        over.end_session(EndReason::Revoked, 0, Duration::MAX);
        assert_eq!(connections.dispensable(None), Some(old));
        assert_eq!(connections.dispensable(Some(old)), Some(new));
        connections.remove(old);
        connections.remove(new);
        assert_eq!(connections.dispensable(None), Some(leaving));
        assert_eq!(connections.dispensable(Some(leaving)), None);
    }

    #[test]
    fn the_way_round_begins_behind_who_had_its_turn_and_comes_to_each_once() {
        let (mut connections, ids) = some(3);
        let around = |connections: &Connections, mut way| {
            std::iter::from_fn(|| connections.next_on(&mut way)).collect::<Vec<_>>()
        };
        for (had, rest) in [(0, [1, 2, 0]), (1, [2, 0, 1]), (2, [0, 1, 2])] {
            let rest = rest.map(|index: usize| ids[index]);
            connections.had_its_turn(ids[had]);
            assert_eq!(around(&connections, connections.way_round()), rest);
            connections.had_its_request(ids[had]);
            assert_eq!(around(&connections, connections.way_round_requests()), rest);
        }
    }

    #[test]
    fn the_client_of_an_exclusive_way_in_is_found_by_it() {
        let (mut connections, ids) = some(2);
        connections.get_mut(ids[1]).unwrap().slot = Some(7);
        assert_eq!(connections.of_slot(7), Some(ids[1]));
        assert_eq!(connections.of_slot(0), None);
    }
}
