//! Several VMMs want the same instance, and VMMs are killed.
//!
//! The other processes are this test program, started again with a role in its environment.

use std::env;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use vm_console::instance::{
    ClaimErrorKind, Description, Directory, Entry, FlawKind, InstanceId, Liveness,
};
use vm_console::{LogConfig, MarkKind, UnixTime};

const ROLE: &str = "INSTANCE_RACE_DIRECTORY";

fn id() -> InstanceId {
    "vm-7".parse().unwrap()
}

/// A process that claims the instance when it is told to, says how that went, and lives on.
fn start(directory: &Path) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", "play_a_vmm", "--nocapture"])
        .env(ROLE, directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command.spawn().unwrap()
}

/// Does nothing unless another test has started this process.
#[test]
fn play_a_vmm() {
    let Some(directory) = env::var_os(ROLE).map(PathBuf::from) else {
        return;
    };
    let mut input = std::io::stdin().lock();
    input.read_exact(&mut [0]).unwrap();
    let claimed = Entry::claim(&Directory::new(directory), &id(), Description::default());
    let said = match &claimed {
        Ok(entry) => {
            let (mut writer, _) = entry.boot_log(LogConfig::default()).unwrap();
            let listener = entry.control_listener().unwrap();
            writer.begin_boot(MarkKind::PowerOn, UnixTime::from_nanos(0));
            writer.append(b"printed");
            // They end with the process, as it is killed.
            std::mem::forget((writer, listener));
            "#won#".to_owned()
        }
        Err(error) if matches!(error.kind, ClaimErrorKind::Live { .. }) => "#lost#".to_owned(),
        Err(error) => format!("#{error}#"),
    };
    println!("{said}");
    std::io::stdout().flush().unwrap();
    // Until the test closes this, or kills us.
    let _ = input.read(&mut [0]);
    std::mem::forget(claimed);
}

fn go(child: &mut Child) {
    child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
}

fn answer(child: &mut Child) -> String {
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let answers = lines.map_while(Result::ok).find(|line| line.contains('#'));
    let line = answers.expect("the process has ended without an answer");
    line.split('#').nth(1).unwrap().to_owned()
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn of_many_processes_exactly_one_wins_and_the_next_takes_over_when_it_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let directory = Directory::new(dir.path().join("consoles"));
    let mut last = 0;
    for round in 0..4_usize {
        let mut vmms: Vec<_> = (0..8).map(|_| start(directory.path())).collect();
        vmms.iter_mut().for_each(go);
        let answers: Vec<_> = vmms.iter_mut().map(answer).collect();
        let won = answers.iter().filter(|a| *a == "won").count();
        let refused = answers.iter().filter(|a| *a == "lost").count();
        assert_eq!((won, refused), (1, 7), "{answers:?}");

        let found = directory.find(&id()).unwrap();
        let at = answers.iter().position(|a| a == "won").unwrap();
        assert_eq!(found.liveness, Liveness::Live);
        assert_eq!(found.record.pid, vmms[at].id());
        assert!(found.record.incarnation > last);
        last = found.record.incarnation;

        vmms.into_iter().for_each(kill);
        // The kernel has dropped the lock; log, record and the dead socket are still there.
        let found = directory.find(&id()).unwrap();
        assert_eq!(found.liveness, Liveness::Gone);
        assert!(found.control_socket().exists());
        let log = found.open_boot_log().unwrap();
        assert_eq!(log.read_at(0, 1000).bytes, b"printed".repeat(round + 1));
    }
    // Nobody can connect any more, even before the new VMM listens.
    let entry = Entry::claim(&directory, &id(), Description::default()).unwrap();
    assert!(!entry.control_socket().exists());
}

/// Claims, drops and retirements by many threads, while readers look.
#[test]
fn no_two_threads_have_the_entry_whatever_the_others_do() {
    const THREADS: u32 = 6;
    let dir = tempfile::tempdir().unwrap();
    let directory = Directory::new(dir.path());
    let taken = AtomicBool::new(false);
    let over = AtomicBool::new(false);
    let begin = Barrier::new(THREADS as usize);
    thread::scope(|scope| {
        let claimers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (directory, taken, begin) = (&directory, &taken, &begin);
                scope.spawn(move || {
                    begin.wait();
                    let mut won = 0;
                    for round in 0..300 {
                        match Entry::claim(directory, &id(), Description::default()) {
                            Ok(entry) => {
                                assert!(!taken.swap(true, Ordering::SeqCst), "two have it");
                                won += 1;
                                taken.store(false, Ordering::SeqCst);
                                if (thread + round) % 3 == 0 {
                                    entry.retire().unwrap();
                                }
                            }
                            Err(error) => match error.kind {
                                ClaimErrorKind::Live { .. } | ClaimErrorKind::Restless => {}
                                _ => panic!("{error}"),
                            },
                        }
                    }
                    won
                })
            })
            .collect();
        let reader = scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                for listed in directory.list().unwrap() {
                    match listed {
                        Ok(instance) => assert_eq!(instance.id, id()),
                        // It is just being made or removed.
                        Err(flaw) => {
                            assert!(matches!(flaw.kind, FlawKind::NoRecord { .. }), "{flaw}");
                        }
                    }
                }
            }
        });
        let won: Vec<_> = claimers
            .into_iter()
            .map(thread::ScopedJoinHandle::join)
            .collect();
        // Also if one has failed, or the reader would go on for ever.
        over.store(true, Ordering::SeqCst);
        reader.join().unwrap();
        let won: u32 = won.into_iter().map(Result::unwrap).sum();
        assert!(won > 0);
    });
}
