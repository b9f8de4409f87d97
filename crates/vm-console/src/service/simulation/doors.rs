//! Simulated ways in: a listening socket, and a pty.

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use rustix::io::Errno;

use super::net::{Door, Duct, Nature, Node, Shared, lock};
use super::stream::SimulatedStream;
use crate::session::{Credentials, Transport};
use crate::transport::accept::{Accepted, Accepts, Came, Release};

/// A listening socket.
#[derive(Debug)]
pub(super) struct SimulatedSocket {
    net: Shared,
    door: usize,
    fd: RawFd,
    transport: Transport,
}

impl SimulatedSocket {
    /// # Errors
    /// No descriptor is left.
    pub(super) fn open(net: &Shared, transport: Transport) -> io::Result<(Self, usize)> {
        let (door, fd) = open_door(net, None)?;
        let socket = Self {
            net: net.clone(),
            door,
            fd,
            transport,
        };
        Ok((socket, door))
    }
}

fn open_door(net: &Shared, pair: Option<usize>) -> io::Result<(usize, RawFd)> {
    let mut net = lock(net);
    let door = net.doors.len();
    let fd = net.open(Node::Door(door))?;
    net.doors.push(Door {
        open: true,
        pair,
        ..Door::default()
    });
    Ok((door, fd))
}

impl Accepts for SimulatedSocket {
    fn descriptor(&self) -> Option<RawFd> {
        Some(self.fd)
    }

    fn accept(&mut self) -> Came {
        let mut net = lock(&self.net);
        net.called();
        let Some((duct, uid)) = net.doors[self.door].backlog.front().copied() else {
            return Came::Nobody;
        };
        drop(net);
        match SimulatedStream::open(&self.net, duct) {
            Ok(stream) => {
                lock(&self.net).doors[self.door].backlog.pop_front();
                let uid = u32::from(uid);
                let has_address = self.transport == Transport::Tcp;
                let credentials = Credentials {
                    uid,
                    gid: uid,
                    pid: 1,
                };
                Came::Client(Accepted {
                    stream: Box::new(stream),
                    transport: self.transport,
                    credentials: (!has_address).then_some(credentials),
                    address: has_address.then_some(([127, 0, 0, 1], 1).into()),
                    admitted: has_address || uid != 3,
                    exclusive: false,
                    settles: Duration::ZERO,
                })
            }
            Err(error) => Came::Exhausted(error),
        }
    }

    fn closes_at_shut_down(&self) -> bool {
        true
    }

    fn release(&mut self, _how: Release) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for SimulatedSocket {
    fn drop(&mut self) {
        let mut net = lock(&self.net);
        net.close(self.fd);
        net.doors[self.door].open = false;
        while let Some((duct, _)) = net.doors[self.door].backlog.pop_front() {
            net.ducts[duct].served = false;
        }
    }
}

/// A pty: one client at a time, which comes by opening it.
#[derive(Debug)]
pub(super) struct SimulatedPty {
    net: Shared,
    door: usize,
    /// None when another pair could not be had yet.
    fd: Option<RawFd>,
    is_served: bool,
}

/// What a terminal holds of output that nobody reads.
const TERMINAL: usize = 4096;

impl SimulatedPty {
    /// # Errors
    /// No descriptor is left.
    pub(super) fn open(net: &Shared) -> io::Result<(Self, usize)> {
        let pair = new_pair(net);
        let (door, fd) = open_door(net, Some(pair))?;
        let pty = Self {
            net: net.clone(),
            door,
            fd: Some(fd),
            is_served: false,
        };
        Ok((pty, door))
    }
}

fn new_pair(net: &Shared) -> usize {
    let mut net = lock(net);
    let pair = net.ducts.len();
    net.ducts.push(Duct::new(Nature::Pty, TERMINAL));
    pair
}

impl Accepts for SimulatedPty {
    fn descriptor(&self) -> Option<RawFd> {
        self.fd
    }

    fn accept(&mut self) -> Came {
        let mut net = lock(&self.net);
        net.called();
        net.doors[self.door].changed = false;
        let (present, pair) = (net.doors[self.door].present, net.doors[self.door].pair);
        drop(net);
        match (present, self.is_served, pair) {
            (false, true, _) => Came::Left,
            (true, false, Some(pair)) => match SimulatedStream::open(&self.net, pair) {
                Ok(stream) => {
                    self.is_served = true;
                    Came::Client(Accepted {
                        stream: Box::new(stream),
                        transport: Transport::Pty,
                        credentials: None,
                        address: None,
                        admitted: true,
                        exclusive: true,
                        settles: Duration::from_millis(150),
                    })
                }
                Err(error) => Came::Exhausted(error),
            },
            _ => Came::Nobody,
        }
    }

    fn closes_at_shut_down(&self) -> bool {
        false
    }

    fn release(&mut self, how: Release) -> io::Result<()> {
        self.is_served = false;
        let mut net = lock(&self.net);
        net.called();
        let old = net.doors[self.door].pair;
        if let (Release::Left, Some(_), Some(pair)) = (how, self.fd, old) {
            if !net.doors[self.door].present {
                net.ducts[pair].flush();
            }
            return Ok(());
        }
        // If no other can be had, this one is hung up all the same. What that frees may be taken by
        // another thread at once.
        // A pair takes several descriptors; one is watched.
        let another = if net.spare.is_some_and(|spare| spare < 3) {
            Err(Errno::MFILE.into())
        } else {
            net.open(Node::Door(self.door))
        };
        if let Some(fd) = self.fd.take() {
            net.close(fd);
        }
        if let Some(pair) = old {
            net.ducts[pair].served = false;
        }
        let door = &mut net.doors[self.door];
        door.pair = None;
        door.present = false;
        door.changed = false;
        let fd = another?;
        self.fd = Some(fd);
        drop(net);
        let pair = new_pair(&self.net);
        let door = &mut lock(&self.net).doors[self.door];
        door.pair = Some(pair);
        Ok(())
    }
}

impl Drop for SimulatedPty {
    fn drop(&mut self) {
        let mut net = lock(&self.net);
        if let Some(fd) = self.fd {
            net.close(fd);
        }
        let door = &mut net.doors[self.door];
        door.open = false;
        if let Some(pair) = door.pair {
            net.ducts[pair].served = false;
        }
    }
}
