"""A valid value of every member of a CloudTrail event, as JSON text."""

from __future__ import annotations

VALUES = {
    "eventTime": "2026-01-15T20:01:07Z",
    "eventVersion": "1.11",
    "eventSource": "cloudfront.amazonaws.com",
    "eventName": "UpdateDistribution",
    "eventID": "5ab02562-0fc5-43d0-b7b6-902930000001",
    "eventType": "AwsApiCall",
    "eventCategory": "Management",
    "requestID": "4e6b66f9-d548-11e3-a8a9-73e330000001",
    "sharedEventID": "4e6b66f9-d548-11e3-a8a9-73e330000002",
    "apiVersion": "2020_05_31",
    "errorCode": "AccessDenied",
    "errorMessage": "not authorized",
    "readOnly": "false",
    "managementEvent": "true",
    "sessionCredentialFromConsole": "true",
    "awsRegion": "us-east-1",
    "recipientAccountId": "111122223333",
    "vpcEndpointId": "vpce-0a1b2c3d",
    "sourceIPAddress": "192.0.2.10",
    "userAgent": "aws-cli/2.30.0",
    "userIdentity": '{"type": "IAMUser", "userName": "smith"}',
    "tlsDetails": '{"tlsVersion": "TLSv1.3"}',
    "resources": '[{"type": "AWS::CloudFront::KeyValueStore"}]',
    "requestParameters": '{"id": "EDFDVBD6EXAMPLE"}',
    "responseElements": '{"eTag": "E1YHBLAB2BJY1G"}',
    "additionalEventData": '{"note": ""}',
    "serviceEventDetails": '{"state": "done"}',
}
