//! A small S3 that does one thing wrong.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, RequestChecksumCalculation};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::store::S3Store;
use crate::clock::Clock;
use crate::limits::Retention;
use crate::ports::crc32c;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Flaw {
    None,
    OverwritesWithPut,
    OverwritesAtCompletion,
    IgnoresChecksumOfObjects,
    IgnoresChecksumOfParts,
    ListsNothing,
    KeepsNoLock,
    KeepsZeros,
    RefusesCondition(u16),
    RefusesChecksum(u16),
    RefusesConditionAtCompletion(u16),
    RefusesAll(u16),
    ListsNoVersions,
    /// Keeps versions, or kept some (`Suspended`), and lists none.
    HidesVersions(&'static str),
    IgnoresKmsKey,
    RefusesKmsKey,
}

pub(super) struct Fake {
    pub(super) flaw: Flaw,
    /// By key, with whether the object is locked.
    pub(super) objects: BTreeMap<String, (Bytes, bool)>,
    pub(super) uploads: BTreeMap<String, Bytes>,
    begun: usize,
    pub(super) requests: usize,
}

pub(super) type Shared = Arc<Mutex<Fake>>;

const ENCRYPTION: &str = "x-amz-server-side-encryption";
const KMS_KEY: &str = "x-amz-server-side-encryption-aws-kms-key-id";

fn refuse(status: u16, code: &str, message: &str) -> Response {
    let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    (StatusCode::from_u16(status).unwrap(), body).into_response()
}

fn not_implemented(status: u16) -> Response {
    refuse(
        status,
        "NotImplemented",
        "A header you provided implies functionality that is not implemented",
    )
}

async fn answer(State(fake): State<Shared>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let key = head.uri.path().trim_start_matches("/b/").to_owned();
    let query = head.uri.query().unwrap_or_default().to_owned();
    let mut fake = fake.lock();
    fake.requests += 1;
    if let Flaw::RefusesAll(status) = fake.flaw {
        return refuse(
            status,
            "AuthorizationHeaderMalformed",
            "the region is wrong",
        );
    }
    if let Some(refused) = fake.refuses_key(&head.headers) {
        return refused;
    }
    match head.method {
        Method::GET if query.contains("versions") => fake.versions(),
        Method::GET if query.contains("versioning") => fake.versioning(),
        Method::GET if query.contains("list-type=2") => fake.list(&query),
        Method::POST if query.contains("uploads") => fake.create(&key, &head.headers),
        Method::PUT if query.contains("partNumber") => fake.part(&query, &head.headers, body),
        Method::POST => fake.complete(&key, &query, &head.headers),
        Method::DELETE => {
            fake.uploads.remove(&upload_of(&query));
            StatusCode::NO_CONTENT.into_response()
        }
        Method::PUT => fake.put(key, &head.headers, &body),
        _ => fake.get(&key),
    }
}

fn upload_of(query: &str) -> String {
    let id = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("uploadId="));
    id.unwrap_or_default().to_owned()
}

/// Whether the checksum is that of the body.
fn is_right(headers: &HeaderMap, body: &[u8]) -> bool {
    headers
        .get("x-amz-checksum-crc32c")
        .is_none_or(|sent| sent.as_bytes() == crc32c(body).as_bytes())
}

impl Fake {
    fn list(&self, query: &str) -> Response {
        let prefix = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("prefix="))
            .unwrap_or_default();
        let prefix = prefix.replace("%2F", "/");
        let shown = self
            .objects
            .keys()
            .filter(|_| self.flaw != Flaw::ListsNothing);
        let mut listed = String::new();
        for key in shown.filter(|key| key.starts_with(&prefix)) {
            let modified = "<LastModified>2026-11-28T00:00:00Z</LastModified>";
            write!(listed, "<Contents><Key>{key}</Key>{modified}</Contents>").unwrap();
        }
        format!("<ListBucketResult><IsTruncated>false</IsTruncated>{listed}</ListBucketResult>")
            .into_response()
    }

    fn versions(&self) -> Response {
        if matches!(self.flaw, Flaw::ListsNoVersions | Flaw::HidesVersions(_)) {
            return refuse(501, "NotImplemented", "this store lists no versions");
        }
        "<ListVersionsResult><IsTruncated>false</IsTruncated></ListVersionsResult>".into_response()
    }

    fn versioning(&self) -> Response {
        let status = match self.flaw {
            Flaw::HidesVersions(status) => format!("<Status>{status}</Status>"),
            _ => String::new(),
        };
        format!("<VersioningConfiguration>{status}</VersioningConfiguration>").into_response()
    }

    fn refuses_key(&self, headers: &HeaderMap) -> Option<Response> {
        let refuses = self.flaw == Flaw::RefusesKmsKey && headers.contains_key(KMS_KEY);
        refuses.then(|| refuse(400, "KMS.NotFoundException", "Key 'k' does not exist"))
    }

    /// The answer, with how the object is encrypted.
    fn encrypted(&self, answer: impl IntoResponse, headers: &HeaderMap) -> Response {
        let mut answer = answer.into_response();
        let is_asked = headers.contains_key(KMS_KEY) && self.flaw != Flaw::IgnoresKmsKey;
        if let Some(how) = headers.get(ENCRYPTION).filter(|_| is_asked) {
            answer.headers_mut().insert(ENCRYPTION, how.clone());
        }
        answer
    }

    fn create(&mut self, key: &str, headers: &HeaderMap) -> Response {
        self.begun += 1;
        let id = format!("u{}", self.begun);
        self.uploads.insert(id.clone(), Bytes::new());
        let body = format!(
            "<InitiateMultipartUploadResult><Key>{key}</Key><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
        );
        self.encrypted(body, headers)
    }

    fn part(&mut self, query: &str, headers: &HeaderMap, body: Bytes) -> Response {
        if !is_right(headers, &body) && self.flaw != Flaw::IgnoresChecksumOfParts {
            return refuse(400, "BadDigest", "the checksum is wrong");
        }
        self.uploads.insert(upload_of(query), body);
        [("etag", "\"e\"")].into_response()
    }

    fn complete(&mut self, key: &str, query: &str, headers: &HeaderMap) -> Response {
        if let Flaw::RefusesConditionAtCompletion(status) = self.flaw {
            return not_implemented(status);
        }
        let conditional =
            headers.contains_key("if-none-match") && self.flaw != Flaw::OverwritesAtCompletion;
        if conditional && self.objects.contains_key(key) {
            return refuse(412, "PreconditionFailed", "it is there");
        }
        let body = self.uploads.remove(&upload_of(query)).unwrap();
        self.objects.insert(key.to_owned(), (body, false));
        "<CompleteMultipartUploadResult></CompleteMultipartUploadResult>".into_response()
    }

    fn put(&mut self, key: String, headers: &HeaderMap, body: &Bytes) -> Response {
        let sent = |name: &str| headers.contains_key(name);
        match self.flaw {
            Flaw::RefusesCondition(status) if sent("if-none-match") => {
                return not_implemented(status);
            }
            Flaw::RefusesChecksum(status) if sent("x-amz-checksum-crc32c") => {
                return not_implemented(status);
            }
            _ => {}
        }
        if self.objects.contains_key(&key) && self.flaw != Flaw::OverwritesWithPut {
            return refuse(412, "PreconditionFailed", "it is there");
        }
        if !is_right(headers, body) && self.flaw != Flaw::IgnoresChecksumOfObjects {
            return refuse(400, "BadDigest", "the checksum is wrong");
        }
        let locked = sent("x-amz-object-lock-mode") && self.flaw != Flaw::KeepsNoLock;
        let zeros = || Bytes::from(vec![0; body.len()]);
        let kept = if self.flaw == Flaw::KeepsZeros {
            zeros()
        } else {
            body.clone()
        };
        self.objects.insert(key, (kept, locked));
        self.encrypted(StatusCode::OK, headers)
    }

    fn get(&self, key: &str) -> Response {
        let Some((body, locked)) = self.objects.get(key) else {
            return refuse(404, "NoSuchKey", "there is none");
        };
        let mut headers = HeaderMap::new();
        if *locked {
            headers.insert(
                HeaderName::from_static("x-amz-object-lock-mode"),
                "GOVERNANCE".parse().unwrap(),
            );
            let until = "2033-01-01T00:00:00Z".parse().unwrap();
            headers.insert(
                HeaderName::from_static("x-amz-object-lock-retain-until-date"),
                until,
            );
        }
        (headers, body.clone()).into_response()
    }
}

/// A store on such an S3, and what that S3 keeps.
pub(super) async fn store(
    flaw: Flaw,
    retention: Option<Retention>,
) -> (S3Store, Shared, AbortOnDropHandle<()>) {
    let fake = Fake {
        flaw,
        objects: BTreeMap::new(),
        uploads: BTreeMap::new(),
        begun: 0,
        requests: 0,
    };
    let fake = Arc::new(Mutex::new(fake));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new()
        .fallback(answer)
        .with_state(Arc::clone(&fake));
    let serving = tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("a", "b", None, None, "test"))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .build();
    let store = S3Store::new(
        Client::from_conf(config),
        None,
        "b",
        "p/",
        retention,
        Clock::system(),
    );
    (store, fake, AbortOnDropHandle::new(serving))
}
